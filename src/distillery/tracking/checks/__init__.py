"""What `distillery check` looks at in each tracking set; apart from the readers, so that no result depends on it."""
