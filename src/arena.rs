//! The allocator: an arena for what lives a millisecond, the system's for the rest.
//!
//! A hook allocates some hundred small things and ends. musl's allocator, made to be hard to attack and small, takes half
//! of all instructions for that, a dozen system calls and as many page faults (`docs/performance.md`). Here the first
//! [`SIZE`] bytes come from a static block by moving a mark, and are given back only from its end; whoever needs more,
//! because the network is used or a large file is read, is served by the system.
#![expect(unsafe_code, reason = "an allocator is unsafe by nature")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of the arena: a hook needs a twentieth of it, fetching role credentials all. Pages that are not used cost nothing.
const SIZE: usize = 512 * 1024;

#[global_allocator]
static ALLOCATOR: Arena = Arena::new();

struct Arena {
    block: UnsafeCell<[u8; SIZE]>,
    /// Where the free part of the block begins.
    mark: AtomicUsize,
}

// SAFETY: bytes of the block are handed out once, by an atomic move of the mark, and touched by their owners alone.
unsafe impl Sync for Arena {}

impl Arena {
    #[expect(clippy::large_stack_arrays, reason = "it is a static's value, and tests box it")]
    const fn new() -> Self {
        Self { block: UnsafeCell::new([0; SIZE]), mark: AtomicUsize::new(0) }
    }

    fn base(&self) -> *mut u8 {
        self.block.get().cast()
    }

    /// Where `pointer` is in the block, if it is.
    fn offset(&self, pointer: *mut u8) -> Option<usize> {
        pointer.addr().checked_sub(self.base().addr()).filter(|offset| *offset < SIZE)
    }

    /// Takes bytes from the free part, if it has as many.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let base = self.base();
        let mut mark = self.mark.load(Relaxed);
        loop {
            let start = (base.addr() + mark).checked_next_multiple_of(layout.align())? - base.addr();
            let end = start.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            match self.mark.compare_exchange_weak(mark, end, Relaxed, Relaxed) {
                // SAFETY: `start` is within the block.
                Ok(_) => return Some(unsafe { base.add(start) }),
                Err(now) => mark = now,
            }
        }
    }
}

// SAFETY: every allocation is either the system's, and goes back to it, or bytes of the block that nobody else has: the
// mark moves past them when they are taken, and back only over bytes that are given up, while it still stands at their end.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(taken) => taken,
            // SAFETY: the caller's promises are the ones that the system's allocator asks for.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        match self.offset(pointer) {
            Some(start) => {
                let _ = self.mark.compare_exchange(start + layout.size(), start, Relaxed, Relaxed);
            }
            // SAFETY: it is not of the block, so the system has allocated it.
            None => unsafe { System.dealloc(pointer, layout) },
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(start) = self.offset(pointer) else {
            // SAFETY: it is not of the block, so the system has allocated it.
            return unsafe { System.realloc(pointer, layout, new_size) };
        };
        let (end, new_end) = (start + layout.size(), start.saturating_add(new_size));
        if new_end <= SIZE && self.mark.compare_exchange(end, new_end, Relaxed, Relaxed).is_ok() {
            return pointer;
        }
        // SAFETY: `new_size` makes a layout by the caller's promise; old and new bytes do not overlap, and as many are
        // copied as both have.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(pointer, moved, layout.size().min(new_size));
                self.dealloc(pointer, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A live allocation: where, of which layout, and the byte it is filled with.
    struct Live(*mut u8, Layout, u8);

    impl Live {
        fn fill(self) -> Self {
            // SAFETY: the bytes are ours.
            unsafe { ptr::write_bytes(self.0, self.2, self.1.size()) };
            self
        }

        /// Whether its bytes are still what was written to them, up to `length`.
        fn is_whole(&self, length: usize) -> bool {
            // SAFETY: the bytes are ours, and written.
            unsafe { std::slice::from_raw_parts(self.0, length) }.iter().all(|byte| *byte == self.2)
        }
    }

    proptest! {
        /// Nobody's bytes are another's, whatever the order of taking, growing, shrinking and giving back.
        #[test]
        fn allocations_keep_what_is_written(
            steps in proptest::collection::vec((0u8..3, 1usize..60_000, 0u32..7, any::<prop::sample::Index>()), 1..200),
        ) {
            let arena = Box::new(Arena::new());
            let mut live: Vec<Live> = Vec::new();
            for (number, (step, size, align, which)) in steps.into_iter().enumerate() {
                let fill = u8::try_from(number % 251).unwrap();
                if step == 0 || live.is_empty() {
                    let layout = Layout::from_size_align(size, 1 << align).unwrap();
                    // SAFETY: the size is not zero.
                    let pointer = unsafe { arena.alloc(layout) };
                    prop_assert!(!pointer.is_null() && pointer.addr().is_multiple_of(layout.align()));
                    live.push(Live(pointer, layout, fill).fill());
                } else {
                    let index = which.index(live.len());
                    let Live(pointer, layout, old) = live.swap_remove(index);
                    if step == 1 {
                        // SAFETY: allocated with this layout.
                        unsafe { arena.dealloc(pointer, layout) };
                    } else {
                        // SAFETY: allocated with this layout; the size is not zero.
                        let pointer = unsafe { arena.realloc(pointer, layout, size) };
                        let grown = Live(pointer, Layout::from_size_align(size, layout.align()).unwrap(), old);
                        prop_assert!(grown.is_whole(size.min(layout.size())));
                        live.push(Live(grown.0, grown.1, fill).fill());
                    }
                }
                prop_assert!(live.iter().all(|one| one.is_whole(one.1.size())));
            }
            for Live(pointer, layout, _) in live {
                // SAFETY: allocated with this layout.
                unsafe { arena.dealloc(pointer, layout) };
            }
        }
    }

    #[test]
    fn what_is_given_back_from_the_end_is_taken_again() {
        let arena = Box::new(Arena::new());
        let layout = Layout::from_size_align(100, 1).unwrap();
        // SAFETY: sizes are not zero, and each is given back once.
        unsafe {
            let first = arena.alloc(layout);
            let grown = arena.realloc(first, layout, 300);
            assert_eq!(first, grown, "the last one grows where it is");
            arena.dealloc(grown, Layout::from_size_align(300, 1).unwrap());
            assert_eq!(arena.alloc(layout), first);
            let large = Layout::from_size_align(SIZE, 1).unwrap();
            let of_system = arena.alloc(large);
            assert_eq!(arena.offset(of_system), None);
            arena.dealloc(of_system, large);
        }
    }
}
