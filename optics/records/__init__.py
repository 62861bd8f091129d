"""What a laboratory records: camera frames and lookup tables, from files to arrays that a device understands."""

from optics.records.frames import check_frames as check_frames
from optics.records.frames import full_scale as full_scale
from optics.records.readers import read_frames as read_frames
from optics.records.tables import read_table as read_table
