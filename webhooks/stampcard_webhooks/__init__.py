"""The HTTP side: webhooks in, REST for people and tills, health for machines."""
