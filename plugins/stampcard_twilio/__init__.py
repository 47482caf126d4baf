"""Twilio: text messages out, and in again what became of them and what people write back."""
