"""The routes of the API; whom they concern is in `matinee.service.people`."""
