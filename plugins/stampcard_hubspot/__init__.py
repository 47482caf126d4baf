"""HubSpot as a CRM: contacts in both directions."""
