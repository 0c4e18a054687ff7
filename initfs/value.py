"""Frozen values without `dataclasses`: that module costs process 1 twenty milliseconds and two megabytes.

`@value` turns a class body of annotated fields, with or without defaults, into a tuple with named fields: immutable,
hashable, matched by position in `case`, and, unlike a named tuple, equal only to a value of its own class.
"""

from __future__ import annotations

from _collections import _tuplegetter  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TypeVar, dataclass_transform

    T = TypeVar("T")
    C = TypeVar("C", bound=type)

    @dataclass_transform(frozen_default=True)
    def value(cls: C) -> C: ...


class _Value(tuple):  # type: ignore[type-arg]
    __slots__ = ()
    __match_args__: tuple[str, ...] = ()
    _defaults: tuple[Any, ...] = ()
    _index: dict[str, int] = {}  # noqa: RUF012

    def __new__(cls, *args: Any, **named: Any) -> _Value:
        given = len(args)
        names = cls.__match_args__
        required = len(names) - len(cls._defaults)
        if not named and required <= given <= len(names):  # the usual way, and the fast one
            return tuple.__new__(cls, args + cls._defaults[given - required :])
        if given > len(names):
            raise TypeError(f"{cls.__name__} takes {len(names)} fields, not {given}")
        rest = [named.pop(name, ...) for name in names[given:]]
        for index, field in enumerate(rest, given):
            if field is ...:
                if index < required:
                    raise TypeError(f"{cls.__name__} needs the field {names[index]}")
                rest[index - given] = cls._defaults[index - required]
        if named:
            raise TypeError(f"{cls.__name__} has no field {' '.join(named)}")
        return tuple.__new__(cls, (*args, *rest))

    def __eq__(self, other: object) -> bool:
        return self.__class__ is other.__class__ and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self.__class__, tuple.__hash__(self)))

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={field!r}" for name, field in zip(self.__match_args__, self, strict=True))
        return f"{self.__class__.__name__}({fields})"


if not TYPE_CHECKING:

    def value(cls):
        """Make the class a frozen value; its annotations are its fields, in order."""
        names = tuple(cls.__dict__.get("__annotations__", ()))
        body = {
            name: thing for name, thing in cls.__dict__.items() if name not in ("__dict__", "__weakref__")
        }
        defaults = tuple(body.pop(name) for name in names if name in body)
        body.update({name: _tuplegetter(index, name) for index, name in enumerate(names)})
        body.update(__slots__=(), __match_args__=names, _defaults=defaults)
        body["_index"] = {name: index for index, name in enumerate(names)}
        return type(cls.__name__, (_Value,), body)


def replace(old: T, **changes: Any) -> T:
    """The same value with some fields changed. An unknown field is a TypeError."""
    fields = list(old)  # type: ignore[call-overload]
    index: dict[str, int] = old._index  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        for name, field in changes.items():
            fields[index[name]] = field
    except KeyError as unknown:
        raise TypeError(f"{type(old).__name__} has no field {unknown.args[0]}") from None
    return tuple.__new__(type(old), fields)  # type: ignore[type-var]


def fields(one: object) -> dict[str, Any]:
    """The fields of a value by name: what its class makes the same value of again."""
    return dict(zip(one.__match_args__, one, strict=True))  # type: ignore[attr-defined, call-overload]
