//! What programs of others leave behind ends with us, however we end. (simulate)

use piecemeal::offspring::{Adopted, adopt_orphans, end_for_good};

use super::interrupt::before_a_sudden_end;

/// Makes orphans of what we start our children. They end when the result is dropped, or at a second
/// Ctrl-C.
pub fn adopt() -> Adopted {
    before_a_sudden_end(end_for_good);
    adopt_orphans()
}
