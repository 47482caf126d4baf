"""The rules that every plugin keeps, by concern; an author inherits them through `stampcard.testing.contract`."""
