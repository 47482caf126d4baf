"""The program file: its model, reading it with positions, its conditions and its schema."""
