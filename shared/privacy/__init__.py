"""Privacy: the class of every source field, and the one place that decides what may leave a document.

In this order:

classes    the classes of fields, the places that values may go to, and which class may go where
forms      the forms of values: numbers, times, names, identifiers
fields     the table: every field of every source, with its class and form
redaction  a document without what a place may not hold
errors     messages and traces of errors, without a document's words
"""
