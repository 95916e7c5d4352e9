"""Controls: what can be chosen in the band viewer, held in Python; the browser shows and sets it."""

from collections.abc import Sequence

import traitlets


class Choice(traitlets.HasTraits):
    """A choice among ``options``, names or (text, name).

    ``value`` is the chosen name and may be read, set and observed; ``disabled`` says whether the browser holds it.
    ``pairs`` are the options as [text, name].
    """

    value = traitlets.Unicode()
    disabled = traitlets.Bool(False)

    def __init__(self, options: Sequence[str] | Sequence[tuple[str, str]], value: str, text: str, purpose: str) -> None:
        self.options, self.text, self.purpose = tuple(options), text, purpose
        self.pairs = [[option, option] if isinstance(option, str) else list(option) for option in options]
        super().__init__(value=value)

    @traitlets.validate("value")
    def _offered(self, proposal: traitlets.Bunch) -> str:
        names = [name for _, name in self.pairs]
        if proposal["value"] not in names:
            raise traitlets.TraitError(f"{self.text} is {proposal['value']!r}; it must be one of {', '.join(names)}.")
        return str(proposal["value"])


class Stretch(traitlets.HasTraits):
    """The stretch: ``value`` is the (low, high) percentile, which may be read, set and observed."""

    value = traitlets.Tuple(traitlets.Float(), traitlets.Float())
    disabled = traitlets.Bool(False)

    @traitlets.validate("value")
    def _ordered(self, proposal: traitlets.Bunch) -> tuple[float, float]:
        low, high = proposal["value"]
        if not 0 <= low <= high <= 100:
            raise traitlets.TraitError(f"stretch is {low} to {high}; it must be two percentiles, 0 <= low <= high <= 100.")
        return low, high
