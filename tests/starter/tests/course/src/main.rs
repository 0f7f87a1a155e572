//! The program.

mod cli;
mod commands;

fn main() {
    println!("{}", piecemeal::s01_numbers::double(21));
}
