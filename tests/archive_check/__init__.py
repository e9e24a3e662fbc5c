"""Archive many documents on the laptop stack while hosts are killed, and read every blob back.

``seed`` says what is written, ``read_back`` compares the storage with that and imports nothing of the fleet,
``run`` lets it happen.
"""
