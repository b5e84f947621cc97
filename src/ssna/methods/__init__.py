"""Items to vectors, and vectors to scorers: every method there is, in one table."""

from ssna.core.plugins import Registry
from ssna.methods.adalora import AdaLoraSettings, build_adalora
from ssna.methods.base import FittedMethod, ItemEncoder, Method, MethodSettings, TrainedMethod
from ssna.methods.blend import BlendSettings, fit_blend
from ssna.methods.ease import (
    CeaseSettings,
    CeaseWordsSettings,
    EaseSettings,
    fit_cease,
    fit_cease_member,
    fit_cease_words,
    fit_ease,
)
from ssna.methods.ids import IdsSettings, build_ids
from ssna.methods.ssna import SSNASettings, build_ssna
from ssna.methods.text_linear import TextLinearSettings, fit_text_linear
from ssna.methods.top_tuning import TMLPSettings, TMoESettings, build_tmlp, build_tmoe
from ssna.methods.training_free import (
    ItemKnnSettings,
    PopularitySettings,
    TextKnnSettings,
    fit_item_knn,
    fit_popularity,
    fit_text_knn,
)
from ssna.methods.tuned import FullSettings, LoraSettings, build_full, build_lora

_OWN: dict[str, Method] = {
    "ssna": TrainedMethod(SSNASettings, build_ssna, needs_text=True),
    "tmlp": TrainedMethod(TMLPSettings, build_tmlp, needs_text=True),
    "tmoe": TrainedMethod(TMoESettings, build_tmoe, needs_text=True),
    "lora": TrainedMethod(LoraSettings, build_lora, needs_text=True),
    "adalora": TrainedMethod(AdaLoraSettings, build_adalora, needs_text=True),
    "full": TrainedMethod(FullSettings, build_full, needs_text=True),
    "ids": TrainedMethod(IdsSettings, build_ids, needs_text=False),
    "popularity": FittedMethod(PopularitySettings, fit_popularity, needs_text=False),
    "item-knn": FittedMethod(ItemKnnSettings, fit_item_knn, needs_text=False),
    "ease": FittedMethod(EaseSettings, fit_ease, needs_text=False),
    "cease": FittedMethod(CeaseSettings, fit_cease, needs_text=True, fit_member=fit_cease_member),
    "cease-words": FittedMethod(CeaseWordsSettings, fit_cease_words, needs_text=True),
    "text-knn": FittedMethod(TextKnnSettings, fit_text_knn, needs_text=True),
    "text-linear": FittedMethod(TextLinearSettings, fit_text_linear, needs_text=True),
    "blend": FittedMethod(BlendSettings, fit_blend, needs_text=True),
}

METHODS: Registry[Method] = Registry("ssna.methods", _OWN, lambda part: isinstance(part, TrainedMethod | FittedMethod))
"""Those here, and those of installed packages, by their entry points in ``ssna.methods``."""

__all__ = ["METHODS", "FittedMethod", "ItemEncoder", "Method", "MethodSettings", "TrainedMethod"]
