"""What every other package stands on: errors, files, settings, packed rows, progress, model hubs."""
