"""What our wrappers have in common: in all that is not ours they are what they wrap."""

from typing import TYPE_CHECKING, Any, ClassVar

from llama_index.core.prompts.mixin import PromptDictType, PromptMixinType

from llama_index.observability.doctrail.handlers import install_on_demand

if TYPE_CHECKING:
    from doctrail_core import Lineage

__all__ = ["Wrapper"]


class Wrapper:
    """Stands for `base`, and says where to record; copies and pickles do not take that along."""

    wraps_for_lineage: ClassVar[bool] = True

    base: Any
    lineage: "Lineage | None"

    # No level of our own in between: prompt keys of more than two parts cannot be updated.

    def _get_prompts(self) -> PromptDictType:
        return self.base._get_prompts()  # noqa: SLF001  # the host's way to reach a part's prompts

    def _get_prompt_modules(self) -> PromptMixinType:
        return self.base._get_prompt_modules()  # noqa: SLF001  # likewise

    def _update_prompts(self, prompts: PromptDictType) -> None:
        self.base._update_prompts(prompts)  # noqa: SLF001  # likewise

    def __getattr__(self, name: str) -> Any:
        """Be `base` in all that is not ours."""
        if name.startswith("__") or "base" not in self.__dict__:  # while a copy is being made
            raise AttributeError(name)
        return getattr(self.base, name)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lineage behind, which holds files and locks."""
        return self.__dict__ | {"lineage": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Record in this process too."""
        vars(self).update(state)
        install_on_demand()
