"""Messages that members read where they look at their points: in an app, or on the shop's pages."""
