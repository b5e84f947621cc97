"""The settings of the methods that an ensemble can have as members, a section each, called as the method is."""

from pydantic import Field

from ssna.core.settings import Settings
from ssna.methods.base import MethodSettings
from ssna.methods.ease import CeaseSettings, CeaseWordsSettings, EaseSettings
from ssna.methods.text_linear import TextLinearSettings
from ssna.methods.training_free import ItemKnnSettings, PopularitySettings, TextKnnSettings


class MemberSections(Settings):
    """Whatever has members keeps a section for each: ``ensemble.item-knn.decay``, ``method.cease.ridge``."""

    item_knn: ItemKnnSettings = Field(default_factory=ItemKnnSettings, alias="item-knn")
    """As ``[method]`` of item-knn."""
    ease: EaseSettings = EaseSettings()
    """As ``[method]`` of ease."""
    cease: CeaseSettings = CeaseSettings()
    """As ``[method]`` of cease."""
    cease_words: CeaseWordsSettings = Field(default_factory=CeaseWordsSettings, alias="cease-words")
    """As ``[method]`` of cease-words."""
    text_knn: TextKnnSettings = Field(default_factory=TextKnnSettings, alias="text-knn")
    """As ``[method]`` of text-knn."""
    text_linear: TextLinearSettings = Field(default_factory=TextLinearSettings, alias="text-linear")
    """As ``[method]`` of text-linear."""

    def of(self, member: str) -> MethodSettings:
        """The section of ``member``, a method's name; popularity has nothing to set."""
        linear = (self.ease, self.cease, self.cease_words, self.text_linear)
        sections = (self.item_knn, *linear, self.text_knn, PopularitySettings())
        return next(section for section in sections if section.name == member)
