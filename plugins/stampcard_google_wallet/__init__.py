"""Google Wallet: members' loyalty cards in phones, brought up to date, and in again whether people keep them."""
