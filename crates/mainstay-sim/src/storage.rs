//! What a world's journal is kept in, and what is left of it when the power goes.

use std::sync::Arc;

use mainstay_journal::{Journal, JournalError, MemoryImage, MemoryJournal};
use mainstay_kernel::testing::SeededEntropy;
use mainstay_kernel::{Clock, Entropy};

/// Where a journal outlives the processes that write it.
pub trait Storage: Send + Sync + 'static {
    /// The journal.
    type Journal: Journal;
    /// All that was in it at one instant.
    type Image: Send;

    /// As the process at hand has it open.
    fn journal(&self) -> Arc<Self::Journal>;

    /// A new process opens what the last one left.
    ///
    /// # Errors
    /// If it cannot be opened.
    fn reopen(&self) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// The power goes while `write` is under way.
    fn cut_power<T>(
        &self,
        write: impl Future<Output = Result<T, JournalError>> + Send,
    ) -> impl Future<Output = ()> + Send;

    /// All that is in it now.
    fn image(&self) -> Self::Image;

    /// From the next process on it holds what `image` holds, and nothing that was committed since.
    fn fall_back(&self, image: Self::Image);
}

/// Memory: a write that the power cuts is there or is not.
pub struct Memory {
    journal: Arc<MemoryJournal>,
    chance: SeededEntropy,
}

impl Memory {
    pub(crate) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>, seed: u64) -> Self {
        Self {
            journal: Arc::new(MemoryJournal::new(clock, entropy)),
            chance: SeededEntropy::new(seed ^ 0x0009_0e57),
        }
    }
}

impl Storage for Memory {
    type Journal = MemoryJournal;
    type Image = MemoryImage;

    fn journal(&self) -> Arc<MemoryJournal> {
        self.journal.clone()
    }

    async fn reopen(&self) -> Result<(), JournalError> {
        Ok(())
    }

    async fn cut_power<T>(&self, write: impl Future<Output = Result<T, JournalError>> + Send) {
        if self.chance.below(2) == 0 {
            // Nobody is there any more to hear how it went.
            let _ = write.await;
        }
    }

    fn image(&self) -> MemoryImage {
        self.journal.image()
    }

    fn fall_back(&self, image: MemoryImage) {
        self.journal.fall_back(image);
    }
}
