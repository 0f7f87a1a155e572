//! The policy lab: what is known about swarms comes out. Run by `make policies`.

mod simulate {
    #[allow(dead_code)] // the tests of limits use the rest
    mod asked;
    mod known;
}
