import torch

from vadlab.registry import RENDERERS
from vadlab.structures import CaptionDataSample

from ..report.file_names import picture_name
from ..report.picture_page import Article
from .concept_picture import ConceptPicture, draw_concepts
from .renderer import DPI, Renderer


@RENDERERS.register_module(name='CaptionDataSample')
class CaptionRenderer(Renderer):
    """Renderer of images with their captions, references and the concepts of their patches."""

    title = 'Tested captions'
    max_samples = 60

    def draw(self, inputs: torch.Tensor, sample: CaptionDataSample) -> Article:
        """Draw one image, see :meth:`Renderer.draw`; ``inputs`` is the image, uint8, shape (3, H, W)."""
        title = str(sample.image_id)
        picture = ConceptPicture(
            title=title,
            image=inputs.cpu().permute(1, 2, 0).numpy(),
            caption=sample.pred_caption,
            concepts=sample.pred_concepts.cpu().numpy(),
            names=self.model.concepts,  # type: ignore[arg-type]
            references=sample.get('gt_captions') or (),
        )
        name = picture_name(title)
        draw_concepts(picture, heading=False).savefig(self.folder / name, dpi=DPI)
        return Article(picture.caption or '(no word)', [name], ' / '.join(picture.references), verdict=title)

    def note(self, drawn: int, total: int) -> str:
        """The sentence below the title, see :meth:`Renderer.note`."""
        return f'{drawn} of {total} images.'
