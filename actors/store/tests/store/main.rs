//! The store as its neighbours see it: messages in, answers and files out.

#[cfg(test)]
mod approvals;
#[cfg(test)]
mod common;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod life;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod surroundings;
#[cfg(test)]
mod usage;
