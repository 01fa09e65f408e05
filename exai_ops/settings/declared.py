"""What ``Settings`` is made of: frozen values under the names of declared variables."""

from __future__ import annotations

from typing import Any, ClassVar, Self, dataclass_transform

from exai_ops.settings.variable import Declaration, Variable


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Declared:
    """A frozen value whose fields are variables: what a type checker takes for a dataclass.

    ``dataclasses`` would import ``inspect`` and compile a class of sixty fields, which is an eighth of the
    time of ``exai env check``; that needs the declarations alone.

    Attributes:
        variables: One for each field, in order.
    """

    variables: ClassVar[tuple[Variable, ...]] = ()

    def __init_subclass__(cls) -> None:
        given = {name: value for name, value in vars(cls).items() if isinstance(value, Declaration)}
        cls.variables = tuple(declaration.variable(field) for field, declaration in given.items())
        for variable in cls.variables:
            setattr(cls, variable.field, variable.default)

    def __init__(self, **values: Any) -> None:
        fields = {variable.field for variable in self.variables}
        for name in values:
            if name not in fields:
                raise TypeError(f"{type(self).__name__} has no field {name}")
        self.__dict__.update(values)

    def but(self, **values: Any) -> Self:
        """The same with other values for some fields."""
        return type(self)(**{**self.__dict__, **values})

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name}")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._all() == other._all()

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        values = zip(self.variables, self._all(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{v.field}={value!r}' for v, value in values)})"

    def _all(self) -> tuple[Any, ...]:
        return tuple(getattr(self, variable.field) for variable in self.variables)
