"""What the tests of Stampcard and of its plugins share; nothing that serves a shop imports it."""
