"""Forms of entries: every bit has one meaning, kinds are never confused, reserved encodings are refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hvolab.arch import EntryForm, EntryKind, Level, PagingMode, Target, set_bits
from hvolab.conformance.capabilities import SOUND
from hvolab.conformance.check import Checks, require
from hvolab.conformance.queries import bits_of, forms_at
from hvolab.conformance.samples import legal_entries
from hvolab.conformance.subject import Scope, Subject
from hvolab.errors import EncodingError

checks = Checks()
#: Most bits that distinguish kinds, whose combinations are all tried. No format that a walker can read has more.
_MOST_DECIDING_BITS = 14


def _forms(mode: PagingMode) -> Iterator[tuple[Level, EntryForm]]:
    """Yield every form at each of its levels."""
    for level in mode.levels:
        for form in forms_at(mode, level.name):
            yield level, form


def _listed(bits: Iterable[int]) -> str:
    return ", ".join(map(str, bits))


def _name(form: EntryForm, level: Level) -> str:
    return f"a {form.kind.value} at {level.name}"


@checks.add(Scope.FORMAT, SOUND)
def every_bit_has_one_meaning(subject: Subject) -> None:
    """No bit of an entry belongs to two fields, to two parts of the address, or to a field and the address."""
    mode = subject.target.mode
    for level, form in _forms(mode):
        owners: dict[int, str] = {}
        parts = [(f"PA bits from {part.physical}", part.mask) for part in form.address]
        for title, mask in [*parts, *((field.name, field.mask) for field in form.fields)]:
            what = f"{title} of {_name(form, level)} is beyond {mode.format.entry_bits} bits"
            require(mask < 1 << mode.format.entry_bits, what)
            for bit in set_bits(mask):
                what = f"bit {bit} of {_name(form, level)} is both {owners.get(bit)} and {title}"
                require(bit not in owners, what)
                owners[bit] = title
        names = [field.name for field in form.fields]
        require(len(set(names)) == len(names), f"two fields of {_name(form, level)} have one name")


@checks.add(Scope.FORMAT, SOUND)
def addresses_fill_the_pa_width(subject: Subject) -> None:
    """The address in an entry holds every PA bit from the size that it maps up to the PA's width, each once."""
    mode = subject.target.mode
    # a field that a feature adds takes its bits from the address
    taken = sum(field.width for name in subject.features for field in subject.architecture.feature(name).adds)
    for level, form in _forms(mode):
        physical = [bit for part in form.address for bit in set_bits(part.physical_mask)]
        require(len(set(physical)) == len(physical), f"{_name(form, level)} has a PA bit twice")
        lowest = mode.page_shift if form.kind is EntryKind.TABLE else level.shift
        runs = [count.bit_length() - 1 for name, count in mode.huge_page_levels if name == level.name]
        allowed = {lowest, *(level.shift + run for run in runs if form.kind is EntryKind.LEAF)}
        require(
            min(physical, default=-1) in allowed,
            f"the address of {_name(form, level)} begins with PA bit {min(physical, default=-1)}, not {lowest}",
            hint="declare an address part with the PA bits from n on in an entry that maps 2 ** n bytes",
        )
        beyond = sorted(bit for bit in physical if bit >= mode.pa_bits)
        require(not beyond, f"{_name(form, level)} holds PA bits {_listed(beyond)} of {mode.pa_bits}")
        missing = sorted(set(range(min(physical), mode.pa_bits)) - set(physical))
        require(
            len(missing) <= taken, f"{_name(form, level)} has no place for PA bits {_listed(missing)} of {mode.pa_bits}"
        )


@checks.add(Scope.MODE)
def every_level_has_its_forms(subject: Subject) -> None:
    """The last level has leaves and no tables, every other level can point to tables, none has two tables."""
    mode = subject.mode
    for level in mode.levels:
        kinds = [form.kind for form in forms_at(mode, level.name)]
        last = level is mode.last
        tables = kinds.count(EntryKind.TABLE)
        require(tables == (0 if last else 1), f"an entry at {level.name} has {tables} forms of a table")
        require(not last or EntryKind.LEAF in kinds, f"an entry at {level.name} cannot be a leaf")


@checks.add(Scope.FORMAT, SOUND)
def table_leaf_and_none_are_never_confused(subject: Subject) -> None:
    """Every combination of the bits that distinguish kinds is one of none, a table, a leaf, or illegal."""
    mode = subject.target.mode
    for level in mode.levels:
        _each_kind(subject.target, level)
        empty = mode.format.empty(level.name)
        kind = mode.format.classify(level.name, empty)
        require(kind is EntryKind.NONE, f"an empty entry at {level.name} is a {kind.value}")


def _each_kind(target: Target, level: Level) -> None:
    """Try all combinations of the bits that distinguish kinds at a level."""
    mode = target.mode
    forms = forms_at(mode, level.name)
    for form in forms:
        address = set_bits(bits_of(form.recognize) & form.address_mask)
        what = f"address bits {_listed(address)} distinguish {_name(form, level)} from others"
        require(not address, what)
    patterns = [*mode.format.valid_patterns(level.name), *(match for form in forms for match in form.recognize)]
    bits = set_bits(bits_of(patterns))
    require(len(bits) <= _MOST_DECIDING_BITS, f"{len(bits)} bits distinguish kinds at {level.name}")
    for number in range(1 << len(bits)):
        raw = sum(1 << bit for position, bit in enumerate(bits) if number >> position & 1)
        _one_kind(target, level, forms, raw)


def _one_kind(target: Target, level: Level, forms: list[EntryForm], raw: int) -> None:
    entry_format = target.mode.format
    valid = bool(entry_format.is_valid(level.name, raw))
    matching = [form for form in forms if form.matches(raw)]
    kinds = sorted({form.kind.value for form in matching})
    name = f"{raw:#x} at {level.name}"
    require(
        valid or not matching,
        f"{name} is not valid, but has the pattern of a {'/'.join(kinds)}",
        hint="include the pattern of a valid entry in that of the form",
    )
    require(len(kinds) < 2, f"{name} has the patterns of both a {' and a '.join(kinds)}")
    kind = entry_format.classify(level.name, raw)
    expected = matching[0].kind if matching else EntryKind.ILLEGAL if valid else EntryKind.NONE
    require(kind is expected, f"{name} is a {kind.value}, by its patterns {expected.value}")
    if expected is EntryKind.ILLEGAL:
        require(_refused(target, level, raw), f"{name} has no form, but is not refused")


@checks.add(Scope.FORMAT, SOUND)
def every_reserved_encoding_is_refused(subject: Subject) -> None:
    """An entry that sets a reserved bit, or breaks a rule of its form, is refused."""
    target = subject.target
    mode, bits = target.mode, target.mode.format.entry_bits
    for level, form in _forms(mode):
        legal = legal_entries(mode.format, level.name, form)
        require(legal, f"no entry has the form of {_name(form, level)} without breaking its rules")
        wrong = [(1 << bit, 1 << bit, f"bit {bit} is reserved") for bit in set_bits(form.reserved_mask(bits))]
        wrong += [(rule.broken_by.mask, rule.broken_by.value, rule.text) for rule in form.rules]
        for raw in legal:
            for mask, value, rule in wrong:
                entry = raw & ~mask | value
                if mode.format.recognize(level.name, entry) is form:  # else the bits belong to another form
                    require(_refused(target, level, entry), f"{entry:#x} is not refused: {rule}")


def _refused(target: Target, level: Level, raw: int) -> bool:
    try:
        target.decode(level.name, raw)
    except EncodingError:
        return True
    return False
