"""Single products of many vectors with many others."""

import warnings

import torch
from torch import Tensor

with warnings.catch_warnings():  # torch calls its sparse matrices a beta, once in a process
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], torch.zeros(0, dtype=torch.int64), torch.zeros(0), (1, 1), check_invariants=False)


def products_at(rows: Tensor, columns: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """``(m,)`` fp32: of ``a (n, D)`` and ``b (c, D)`` the products ``a[rows] * b[columns]``, summed.

    Sums of the same terms in the same order, unlike those of a product of matrices: equal vectors have equal ones.

    Args:
        rows: ``(m,)``, which ascend.
        columns: ``(m,)``.
    """
    offsets = torch.cat([rows.new_zeros(1), rows.bincount(minlength=len(a)).cumsum(0)])
    where = torch.sparse_csr_tensor(offsets, columns, a.new_zeros(len(rows)), (len(a), len(b)), check_invariants=False)
    found: Tensor = torch.sparse.sampled_addmm(where, a, b.T, beta=0.0).values()
    return found
