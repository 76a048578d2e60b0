"""The typed config: one file a profile, every key documented, each job given only its own resolved parameters."""
