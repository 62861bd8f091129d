"""What a laboratory records: camera frames and lookup tables, from files to arrays that a device understands."""

from optics.records._frames import check_frames as check_frames
from optics.records._frames import full_scale as full_scale
from optics.records._readers import read_frames as read_frames
from optics.records._tables import read_table as read_table
