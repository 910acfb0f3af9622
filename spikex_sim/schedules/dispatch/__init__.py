"""Dispatch policies: plug-ins that pack active NTWUs into batches."""
