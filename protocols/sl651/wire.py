"""What all wire types of SL 651 share: they are compared by value and shown by their fields. MicroPython-clean."""


class Wire:
    """A plain value with `__slots__`; no slot of it is inherited."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return False
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple([repr(getattr(self, name)) for name in self.__slots__]))

    def __repr__(self) -> str:
        fields = ", ".join([name + "=" + repr(getattr(self, name)) for name in self.__slots__])
        return type(self).__name__ + "(" + fields + ")"
