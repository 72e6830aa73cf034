from .saved_config import read_saved_config
from .tensor_files import forbid_unsafe_loading, read_tensor_file
from .weights import check_float_weights, check_weights, weights_in
