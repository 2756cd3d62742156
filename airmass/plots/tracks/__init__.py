"""Pictures of cyclone tracks."""
