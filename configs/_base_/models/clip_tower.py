# CLIP, to compare windows by their frames and texts. VERA and LAVAD use ImageBind.
tower_weights = 'openai/clip-vit-base-patch16'  # path or Hugging Face id
tower_image_size = 224
tower_patch_size = 16
tower_width = 768
tower_layers = 12
tower_heads = 12
tower_text_width = 512
tower_text_layers = 12
tower_text_heads = 8
tower_embed_dim = 512
tower_act = 'quick_gelu'

tower = dict(
    type='ImageTextTower',
    image_size=tower_image_size,
    model=dict(
        type='CLIP',
        vision=dict(
            type='CLIPVisionTransformer',
            image_size=tower_image_size,
            patch_size=tower_patch_size,
            width=tower_width,
            layers=tower_layers,
            heads=tower_heads,
            hidden_act=tower_act,
        ),
        text=dict(
            type='CLIPTextTransformer',
            width=tower_text_width,
            layers=tower_text_layers,
            heads=tower_text_heads,
            hidden_act=tower_act,
            long_context_length=None,
        ),
        embed_dim=tower_embed_dim,
        pretrained=tower_weights,
    ),
)
