"""Does bias grow when each generation of models is trained on data that the last generation
made?"""

__version__ = "0.1.0"
