"""Django's database backend for MongoDB, which knows when MongoDB is away. See `base`."""
