"""The options of a training run. Imports no JAX: the command lines print their help from here.

    config = nets.config.resolve(nets.Config(model="lambda"))

`Config` is the run as one frozen value. Each of its fields carries its range and the options it depends on;
`resolve` checks both and fills in defaults, and `--help` shows both. A new option is a field of `Config`, a
new data set a line in `DATA_DEFAULTS`, both in `nets/config/_config.py`. `run_command` turns the errors of a
command into one line, and `check_memory` refuses sizes before anything is allocated.
"""

from nets.config._command import print_everywhere as print_everywhere
from nets.config._command import run_command as run_command
from nets.config._config import BEFORE_THE_OPTION as BEFORE_THE_OPTION
from nets.config._config import DEFAULT_CACHE as DEFAULT_CACHE
from nets.config._config import FREE_ON_RESUME as FREE_ON_RESUME
from nets.config._config import LAMBDA as LAMBDA
from nets.config._config import LANGUAGE as LANGUAGE
from nets.config._config import LOCAL_PATHS as LOCAL_PATHS
from nets.config._config import OF_MULTIPLIER as OF_MULTIPLIER
from nets.config._config import OPTIONS as OPTIONS
from nets.config._config import Config as Config
from nets.config._config import as_config as as_config
from nets.config._config import as_json as as_json
from nets.config._config import bucket_lengths as bucket_lengths
from nets.config._config import current_names as current_names
from nets.config._config import device_name as device_name
from nets.config._config import has_convolutions as has_convolutions
from nets.config._config import has_planes as has_planes
from nets.config._config import parse_numbers as parse_numbers
from nets.config._memory import check_memory as check_memory
from nets.config._options import NETWORKS as NETWORKS
from nets.config._options import SEED as SEED
from nets.config._options import SEEDS as SEEDS
from nets.config._options import SIDE as SIDE
from nets.config._options import UNITS as UNITS
from nets.config._options import check_values as check_values
from nets.config._options import flag as flag
from nets.config._options import shorten as shorten
from nets.config._options import show_paragraphs as show_paragraphs
from nets.config._preset_sizes import default_plane as default_plane
from nets.config._preset_sizes import overrides_for as overrides_for
from nets.config._preset_sizes import preset_plane as preset_plane
from nets.config._preset_sizes import size_parameter as size_parameter
from nets.config._resolve import nearest_multiple as nearest_multiple
from nets.config._resolve import next_free_folder as next_free_folder
from nets.config._resolve import resolve as resolve
