//! What tests share: nothing, here.
