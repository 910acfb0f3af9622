"""The command line: options in, tables out; everything else happens below."""
