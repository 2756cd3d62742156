"""File formats: recognising, reading and writing stores and files of fields."""
