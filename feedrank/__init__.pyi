from feedrank.artifact.notebook import load as load
from feedrank.artifact.notebook import read_log as read_log

__version__: str
