from .saved_config import read_saved_config
from .tensor_files import read_tensor_file
