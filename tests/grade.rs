//! The grader, from outside: what it says of clients, good and bad.

mod grade {
    mod clients;
    mod contract;
    mod mistakes;
}
