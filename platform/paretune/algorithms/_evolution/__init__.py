"""The evolutionary search's parts: selection and variation."""
