"""What crosses a boundary: commands, views, problems and command subjects. Pure msgspec, no I/O."""
