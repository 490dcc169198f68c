//! Opening and creating volumes. Everything here **blocks**.

use std::sync::Arc;

use tidelock_block::{BlockError, BlockFile, FileOptions, MemoryFile};
use tidelock_volume::{BlockSize, Geometry};

use super::{CreateOptions, OpenOptions, Volume};
use crate::error::VolumeError;
use crate::journal::Journal;

impl Volume {
    /// Opens an existing file or block device and locks it against other daemons. **Blocks.**
    ///
    /// # Errors
    /// Everything that can be wrong with the file; each names it and says what to do.
    pub fn open(options: &OpenOptions) -> Result<Arc<Self>, VolumeError> {
        let block_size = BlockSize::try_from(options.block_size)?;
        let refuse = |error| VolumeError::from_block(error, 0);
        let file = BlockFile::open(&file_options(options)).map_err(refuse)?;
        let size = file.size().map_err(refuse)?;
        let geometry = geometry(options, block_size, size)?;
        check_direct(&file, block_size)?;
        let journal = journal(options, &file, geometry)?;
        Ok(Self::new(file, geometry, options.preallocate, journal))
    }

    /// Creates a file of the given size, sparse or allocated, and makes it durable with its name.
    /// What is left of a failed attempt is removed. **Blocks**, long where the file system has to
    /// write zeros to allocate.
    ///
    /// # Errors
    /// Everything that can be wrong with the file; each names it and says what to do.
    pub fn create(options: &CreateOptions) -> Result<Arc<Self>, VolumeError> {
        let block_size = BlockSize::try_from(options.open.block_size)?;
        let geometry = geometry(&options.open, block_size, options.size)?;
        let refuse = |error| VolumeError::from_block(error, options.size);
        let file = BlockFile::create(&file_options(&options.open)).map_err(refuse)?;
        let filled = check_direct(&file, block_size)
            .and_then(|()| fill(&file, options).map_err(refuse))
            .and_then(|()| journal(&options.open, &file, geometry));
        let journal = match filled {
            Ok(journal) => journal,
            Err(error) => {
                if let Err(left) = file.remove() {
                    tracing::warn!(error = %left, "the file of a failed creation is left behind");
                }
                return Err(error);
            }
        };
        let preallocate = options.preallocate || options.open.preallocate;
        Ok(Self::new(file, geometry, preallocate, journal))
    }

    /// A volume in memory, for engines of [`crate::EngineKind::Memory`]: for tests.
    ///
    /// # Errors
    /// The size isn't of whole blocks.
    pub fn in_memory(memory: MemoryFile, block_size: BlockSize) -> Result<Arc<Self>, VolumeError> {
        Self::in_memory_with(memory, block_size, None)
    }

    /// The same with a journal for atomic writes, in memory as well: for tests.
    ///
    /// # Errors
    /// The size isn't of whole blocks, or the journal has a record that isn't this volume's.
    pub fn in_memory_with(
        memory: MemoryFile,
        block_size: BlockSize,
        journal: Option<MemoryFile>,
    ) -> Result<Arc<Self>, VolumeError> {
        let file = BlockFile::in_memory(memory);
        let size = file
            .size()
            .map_err(|error| VolumeError::from_block(error, 0))?;
        let geometry = Geometry::new(block_size, size).map_err(|source| VolumeError::Size {
            path: file.path().to_path_buf(),
            source,
        })?;
        let journal = journal
            .map(|journal| Journal::over(BlockFile::in_memory(journal), [0; 16], &file, geometry))
            .transpose()?;
        Ok(Self::new(file, geometry, false, journal))
    }
}

/// What is opened for reading only is left as it is.
fn journal(
    options: &OpenOptions,
    file: &Arc<BlockFile>,
    geometry: Geometry,
) -> Result<Option<Journal>, VolumeError> {
    options
        .journal
        .as_ref()
        .filter(|_| !options.read_only)
        .map(|place| Journal::open(place, file, geometry))
        .transpose()
}

fn file_options(options: &OpenOptions) -> FileOptions {
    FileOptions {
        direct: options.direct,
        read_only: options.read_only,
        ..FileOptions::new(&options.path)
    }
}

fn geometry(
    options: &OpenOptions,
    block_size: BlockSize,
    size: u64,
) -> Result<Geometry, VolumeError> {
    Geometry::new(block_size, size).map_err(|source| VolumeError::Size {
        path: options.path.clone(),
        source,
    })
}

/// Blocks smaller than the unit of direct I/O would have to be written by reading around them,
/// which is not atomic against a neighbour's write.
fn check_direct(file: &BlockFile, block_size: BlockSize) -> Result<(), VolumeError> {
    let unit = file.alignment().offset;
    let block = block_size.bytes();
    if usize::try_from(block).is_ok_and(|block| block.is_multiple_of(unit)) {
        return Ok(());
    }
    Err(VolumeError::DirectUnit {
        path: file.path().to_path_buf(),
        unit,
        block,
    })
}

fn fill(file: &BlockFile, options: &CreateOptions) -> Result<(), BlockError> {
    if options.preallocate {
        file.allocate(0, options.size)?;
    }
    file.set_size(options.size)?;
    file.sync_all()
}
