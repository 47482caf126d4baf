"""A mail server as a channel: messages out by SMTP, and the bounces and complaints in that come of them."""
