from .saved_config import read_saved_config
from .tensor_files import forbid_unsafe_loading, read_tensor_file
from .training_state import check_optimizer_state, check_same_kind, check_training_state
from .weights import check_float_weights, check_weights, weights_in
