"""Docstrings name other things in Sphinx's way (``:class:`Dataset```); the site shows the bare name as code."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:py:)?(?:class|func|meth|mod|attr|data|exc):`~?\.?([^`]+)`")


class DocstringRoles(griffe.Extension):
    """Rewrites roles, and double backquotes with them, before the docstring is parsed."""

    def on_instance(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for each module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
