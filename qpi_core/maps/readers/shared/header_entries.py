"""Headers of lines "key = value" in which a free comment may repeat the keys: which of two values is the instrument's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HeaderEntries:
    """What a header says.

    Attributes:
        values: key to value, one each.
        repeated: key to all its values, for keys that a header without a comment gives more than once.
    """

    values: dict[str, str]
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def contradictions(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Return a sentence for each of the keys that has different values."""
        return tuple(
            f"The header gives {key} more than once ({'; '.join(dict.fromkeys(self.repeated[key]))}): {self.values[key]} was taken."
            for key in keys
            if len(set(self.repeated.get(key, ()))) > 1
        )


def read_entries(pairs: Iterable[tuple[str, str]]) -> HeaderEntries:
    """Return the entries of a header whose comment may hold lines that look like entries.

    Such lines come after the comment has begun, so of a key that was given before the comment the first value counts, and of one that
    was given only afterwards the last.

    Args:
        pairs: key and value of every line, in the order of the header.
    """
    found: dict[str, list[str]] = {}
    before_comment: set[str] | None = None
    for key, value in pairs:
        if before_comment is None and key.lower() in ("comment", "comments"):
            before_comment = set(found)
        found.setdefault(key, []).append(value)
    if before_comment is None:
        return HeaderEntries({key: values[0] for key, values in found.items()}, {k: v for k, v in found.items() if len(v) > 1})
    first = before_comment | {key for key in found if key.lower() in ("comment", "comments")}
    return HeaderEntries({key: values[0 if key in first else -1] for key, values in found.items()})
