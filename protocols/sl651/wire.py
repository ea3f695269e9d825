"""What all wire types of SL 651 share: they are compared by value and shown by their fields. MicroPython-clean."""


class Wire:
    """A plain value with `__slots__`; what a class inherits it names itself, see `bodies.Body`."""

    __slots__: tuple[str, ...] = ()

    @property
    def field_names(self) -> tuple[str, ...]:
        """The slots that make up the value."""
        return self.__slots__

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.field_names)

    def __hash__(self) -> int:
        return hash(tuple([repr(getattr(self, name)) for name in self.field_names]))

    def __repr__(self) -> str:
        fields = ", ".join([name + "=" + repr(getattr(self, name)) for name in self.field_names])
        return type(self).__name__ + "(" + fields + ")"
