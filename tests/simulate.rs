//! The policy lab: its sums are right, and whatever is asked of it ends.
//!
//! That what is known about swarms comes out of it is in `policies.rs`, which takes an optimized build.

mod simulate {
    mod arithmetic;
    mod asked;
    mod limits;
    mod strategies;
}
